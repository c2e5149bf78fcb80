"""Line breaks as the engine reads them: only LF."""


def with_lf(text: str) -> str:
    """Text with LF as its only line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
