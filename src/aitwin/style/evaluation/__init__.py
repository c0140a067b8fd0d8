"""Does it sound like the owner? Evaluation of an adapter on held-out conversations."""
