"""Training of the embedded model from rendered clips; resumable at any step."""
