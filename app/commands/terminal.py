"""What commands say to a person. A terminal must not be steered by what somebody wrote."""

import sys


def say(line: str) -> None:
    """One line on standard output, whatever is in it."""
    shown = "".join(letter if letter.isprintable() else " " for letter in line)
    sys.stdout.write(shown.rstrip() + "\n")
    sys.stdout.flush()


def say_text(text: str) -> None:
    """Each line of a text."""
    for line in text.rstrip().split("\n"):
        say(line)
