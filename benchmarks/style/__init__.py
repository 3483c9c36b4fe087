"""The style of the worked example of adapters, and how far clips are from a style."""
