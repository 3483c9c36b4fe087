"""Parts of `benchmarks.recon`: fixed scenes, what is measured on them, and how it is run and shown."""
