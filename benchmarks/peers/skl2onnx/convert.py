"""What does skl2onnx make of the model, as a graph of two tensors? Called with the subject's folder and a target file.

The transform stays a part of the graph, step by step: imputer, scaler and one-hot columns, then the trees.
"""

import sys
from pathlib import Path

import joblib
import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder


def main(subject: Path, target: Path) -> None:
    rows = np.load(subject / "encoded.npz")
    fitted = joblib.load(subject / "pipeline.joblib")
    numbers, categories = rows["numeric"].shape[1], rows["codes"].shape[1]
    numeric = fitted["columns"].named_transformers_["numeric"]
    places = list(range(numbers)), list(range(numbers, numbers + categories))
    columns = ColumnTransformer(
        [("numeric", numeric, places[0]), ("codes", OneHotEncoder(handle_unknown="ignore"), places[1])]
    )
    columns.fit(np.hstack([rows["numeric"], rows["codes"]]))
    columns.transformers_[0] = (
        "numeric",
        numeric,
        places[0],
    )  # as it was fitted; that just now differs in the last bit
    graph = convert_sklearn(
        Pipeline([("columns", columns), ("model", fitted["model"])]),
        initial_types=[("numeric", FloatTensorType([None, numbers])), ("codes", Int64TensorType([None, categories]))],
        options={"zipmap": False},
    )
    target.write_bytes(graph.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
