"""From cued slots to the air, on the sample."""
