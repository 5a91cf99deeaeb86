"""How does BentoML serve the model? As a service with one typed endpoint over the scikit-learn pipeline."""

import os
from pathlib import Path

import bentoml
import joblib
import pandas as pd


@bentoml.service
class Subject:
    def __init__(self) -> None:
        self.pipeline = joblib.load(Path(os.environ["SUBJECT"]) / "pipeline.joblib")

    @bentoml.api
    def predict(self, rows: list[dict[str, float | str | None]]) -> list[list[float]]:
        return self.pipeline.predict_proba(pd.DataFrame(rows)).tolist()
