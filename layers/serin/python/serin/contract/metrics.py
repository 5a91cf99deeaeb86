"""Which metrics are known, for which task, and which way is better?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure of quality, named as in scikit-learn."""

    name: str
    task: Task
    higher_is_better: bool

    def improvement(self, value: float, over: float) -> float:
        """Say by how much `value` is better than `over`, in the metric's unit; negative where it is worse."""
        return value - over if self.higher_is_better else over - value


METRICS = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", Task.CLASSIFICATION, True),
        Metric("accuracy", Task.CLASSIFICATION, True),
        Metric("balanced_accuracy", Task.CLASSIFICATION, True),
        Metric("f1", Task.CLASSIFICATION, True),
        Metric("log_loss", Task.CLASSIFICATION, False),
        Metric("r2", Task.REGRESSION, True),
        Metric("mae", Task.REGRESSION, False),
        Metric("rmse", Task.REGRESSION, False),
    )
}

DEFAULT_METRIC = {Task.CLASSIFICATION: "roc_auc", Task.REGRESSION: "rmse"}


def metrics_of(task: Task) -> tuple[str, ...]:
    """List the names of the metrics that fit a task."""
    return tuple(name for name, metric in METRICS.items() if metric.task is task)
