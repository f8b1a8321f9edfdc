"""What a representation knows of discrete concepts, and refusals where the data cannot say."""
