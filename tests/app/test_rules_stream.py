"""Documents go into a stream and come out of it byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from app.rules_stream import join, lines_of, split, text_problems, whole_lines
from engine.rule_model import Document

texts = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(["---", "--- x", "...", " ---", "----", "a\r", "\x85", "\u2028", "document: x", "\t", ""]),
    ),
    max_size=6,
).map(lambda lines: whole_lines("\n".join(lines)))


@given(st.lists(texts.filter(lambda text: not text_problems("x", text)), min_size=1, max_size=4))
def test_whatever_may_be_a_document_comes_back_as_it_was(given_texts: list[str]) -> None:
    stream = join([Document(str(number), 1, text) for number, text in enumerate(given_texts)])
    parts = split(stream)
    assert [part.text for part in parts] == given_texts
    lines = lines_of(stream)
    assert all("".join(lines[part.line :]).startswith(part.text) for part in parts)


@given(st.text())
def test_any_stream_is_split_without_losing_a_byte(stream: str) -> None:
    assert "---\n".join(part.text for part in split(stream)) == stream
    assert "".join(lines_of(stream)) == stream
