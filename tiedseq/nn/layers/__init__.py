"""What a network is made of: layers with their forward and exact backward."""
