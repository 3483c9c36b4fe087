"""The video model: a 3D VAE and a diffusion transformer that turn a SegmentSpec into a Clip."""
