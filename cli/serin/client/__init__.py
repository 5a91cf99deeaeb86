"""An environment from Python: `serin.connect()` gives it. Commands and notebooks use this package.

environment   EnvironmentClient: an environment of cdk.json, found by its stack's outputs
model         ModelClient: one model there: predict, upload, versions, releases, why, drift, …
work          Upload, Training: what was asked for, followed to its end
datasets      Datasets: what a person decides about data
answers       Prediction: what the endpoint answers
tables        DataFrames, where pandas is there
"""
