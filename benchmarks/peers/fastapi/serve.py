"""What would one write by hand? A FastAPI service that validates with pydantic and runs the model by onnxruntime.

Called with the subject's folder, beside which the graph of two tensors lies, and a port; asked at /predict.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model


def make_app(subject: Path) -> FastAPI:
    spec = json.loads((subject / "spec.json").read_text())
    numbers = [feature["name"] for feature in spec["features"] if feature["type"] != "category"]
    codes = {
        feature["name"]: {value: code for code, value in enumerate(feature["values"])} | {None: feature["missing_code"]}
        for feature in spec["features"]
        if feature["type"] == "category"
    }
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(subject.parent / "two-tensors.onnx", options, providers=["CPUExecutionProvider"])
    types = dict.fromkeys(numbers, (float | None, None)) | dict.fromkeys(codes, (str | None, None))
    row_type = create_model("Row", **types)

    class Rows(BaseModel):
        rows: list[row_type]

    class Prediction(BaseModel):
        prediction: str
        probabilities: dict[str, float]

    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Rows) -> list[Prediction]:
        numeric = np.array([[getattr(row, name) for name in numbers] for row in request.rows], dtype=np.float32)
        known = [[known.get(getattr(row, name), -1) for name, known in codes.items()] for row in request.rows]
        scores = session.run(None, {"numeric": numeric, "codes": np.array(known)})[1].tolist()
        shares = [dict(zip(spec["classes"], row, strict=True)) for row in scores]
        return [Prediction(prediction=max(row, key=row.get), probabilities=row) for row in shares]

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
