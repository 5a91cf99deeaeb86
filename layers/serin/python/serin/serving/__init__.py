"""What answers a prediction: encode, run the graph, write the answer."""
