"""What does not agree: found beside the writer, remembered from run to run, and worked on by people."""
