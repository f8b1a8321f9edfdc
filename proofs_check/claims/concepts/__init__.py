"""What next-token prediction learns of latent discrete concepts, and what shows it."""
