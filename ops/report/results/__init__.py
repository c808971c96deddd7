"""What each task hands over: frozen values of the model, and how they are told as text and as JSON."""
