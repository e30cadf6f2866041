"""`python -m app.bench PORT`: a Kafka broker of the tests' kind in the foreground; without PORT only fetch it."""

import signal
import sys

from app.bench import kafka_broker, services


def main(arguments: list[str]) -> int:
    """Without arguments fetch the broker; with a port run it there until a signal comes."""
    try:
        if arguments:
            _serve(int(arguments[0]))
        else:
            _fetch()
    except (kafka_broker.NoKafkaError, services.ServiceUnavailableError) as error:
        sys.stderr.write(f"kafka: {error}\n")
        return 1
    return 0


def _fetch() -> None:
    try:
        kafka_broker.docker_image()
    except kafka_broker.NoKafkaError:
        kafka_broker.resolve_jars()


def _serve(port: int) -> None:
    wanted = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)  # a signal ends the wait below, and nothing else
    with services.kafka(port) as address:
        sys.stdout.write(f"Kafka on {address}; Ctrl-C stops it and forgets what it holds\n")
        sys.stdout.flush()
        signal.sigwait(wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
