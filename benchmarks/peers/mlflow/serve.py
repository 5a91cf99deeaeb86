"""How does MLflow serve the model? By its own model server, on the scikit-learn pipeline that it logged.

Called with the subject's folder and a port; asked at /invocations.
"""

import os
import shutil
import sys
from pathlib import Path

import joblib
import mlflow.sklearn


def main(subject: Path, port: str) -> None:
    model = subject / "mlflow"
    shutil.rmtree(model, ignore_errors=True)
    pipeline = joblib.load(subject / "pipeline.joblib")
    mlflow.sklearn.save_model(pipeline, model, pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle")
    here = Path(sys.executable).parent
    os.environ["PATH"] = f"{here}{os.pathsep}{os.environ['PATH']}"  # where it looks for uvicorn
    os.execv(here / "mlflow", ["mlflow", "models", "serve", "-m", model, "-p", port, "--env-manager", "local"])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
