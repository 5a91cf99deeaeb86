"""A wrong contract says where it is wrong, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from serin.contract.load import Contracts, load_contract, parse_contract
from serin.contract.model import Contract
from serin.errors import ContractError, NotFound

SMALLEST = """\
model: loans
task: classification
target: approved
features:
  age: {type: integer, min: 18, max: 100}
"""


def findings(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ContractError) as caught:
        parse_contract(text, "models/loans/model.yaml")
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


def test_the_first_lines_are_enough() -> None:
    contract = parse_contract(SMALLEST, "x")
    assert contract.metric.name == "roc_auc"
    assert contract.release.strategy == "blue_green"
    assert [gate.text for gate in contract.parsed_gates] == ["beats baseline by 1%", "at most 1% worse than champion"]


@pytest.mark.parametrize(
    ("added", "line", "key", "says"),
    [
        ("trainig: {folds: 3}", 6, "trainig", "did you mean training?"),
        ("data: {max_bad_row: 1%}", 6, "data.max_bad_row", "did you mean max_bad_rows?"),
        ("training:\n  retrain: {evry: 7d}", 7, "training.retrain.evry", "did you mean every?"),
        ("  pay: {type: number, mim: 0}", 6, "features.pay.mim", "did you mean min?"),
        ("  pay: {type: decimal}", 6, "features.pay.type", "'integer', 'number', 'boolean' or 'category'"),
        ("  pay: {type: number, min: 3, max: 1}", 6, "features.pay", "min 3 is above max 1"),
        ("  pay: {type: category, min: 3}", 6, "features.pay", "for integer and number"),
        ("  approved: {type: number}", 6, "features.approved", "would predict itself"),
        ("release: {strategy: rolling}", 6, "release.strategy", "'canary', 'blue_green' or 'ab'"),
        ("release: {steps: [5%, 25%]}", 6, "release.steps", "is for canary, not for blue_green"),
        ("release: {strategy: ab, shadow: 5m, margins: {wrong: 2%}}", 6, "release.shadow", "is for canary, not for ab"),
        ("release: {strategy: canary, steps: [5%, 25%, 25%]}", 6, "release.steps.2", "steps grow"),
        ("release: {strategy: canary, steps: [0%, 25%]}", 6, "release.steps.0", "above 0%"),
        ("release: {strategy: canary, steps: [50%, 100%]}", 6, "release.steps.1", "less than 1"),
        ("release: {margins: {error: 0%}}", 6, "release.margins.error", "can never be shown"),
        ("release: {margins: {error: null, slow: null, unsure: null}}", 6, "release.margins", "asks nothing"),
        ("release: {margins: {eror: 1%}}", 6, "release.margins.eror", "did you mean error?"),
        ("release: {strategy: ab}", 6, "release.question", "needs a margin"),
        ("release: {tolerance: 3}", 6, "release.tolerance", "is for regression"),
        (
            "labels: selective\nrelease: {margins: {wrong: 2%}}",
            7,
            "release.margins.wrong",
            "where labels are selective",
        ),
        ("release: {strategy: ab, horizon: 1d, margins: {wrong: 2%}}", 6, "release.feedback_within", "as horizon"),
        ("release: {watch: 1h, margins: {wrong: 2%}}", 6, "release.feedback_within", "as watch"),
        (
            "release: {strategy: canary, limit: 2h, feedback_within: 3h, margins: {wrong: 2%}}",
            *(6, "release.feedback_within", "as limit"),
        ),
        (
            "release:\n  strategy: canary\n  shadow: 2h\n  limit: 4h\n  feedback_within: 3h\n  margins: {wrong: 2%}",
            *(10, "release.feedback_within", "after the shadow, is as long as limit"),
        ),
        (
            "release:\n  strategy: canary\n  bake: 3d",
            *(8, "release.bake", "no trial in a promotion: shadow and steps last 216 h, limit 168 h"),
        ),
        (
            "release: {strategy: canary, shadow: 10m, bake: 10m, limit: 40m}",
            6,
            "release.limit",
            "no trial in a promotion",
        ),
        ("release: {strategy: canary, shadow: 7d}", 6, "release.shadow", "no trial in a promotion"),
        ("release: {disagreement: 5%}", 6, "release.disagreement", "asks for neither"),
        ("release: {replay: 8d}", 6, "release.replay", "more than 7d"),
        ("release: {replay: 1h}\nserving: {capture: {mask: [age]}}", 6, "release.replay", "do not hold age"),
        (
            "  race: {type: category, sensitive: true}\nrelease: {replay: 1h}",
            *(7, "release.replay", "do not hold race as it was sent; sensitive features are masked unless serving"),
        ),
        ("release: {replay: 1h}\nserving: {capture: {share: 0%}}", 6, "release.replay", "nothing is captured"),
        (
            "release: {strategy: canary, shadow: 1h}\nserving: {capture: {hash: [age]}}",
            6,
            "release.shadow",
            "do not hold age",
        ),
        (
            "release: {strategy: canary, on_no_traffic: promote_on_replay}",
            6,
            "release.on_no_traffic",
            "needs replay: how far back, like 24h",
        ),
        ("release: {slow_after: 100}", 6, "release.slow_after", "100ms or 2s"),
        ("release: {bake: 10 minutes}", 6, "release.bake", "15m, 6h or 7d"),
        ("governance: {risk: high}", 6, "governance", "is not supported yet"),
        ("risk: high", 6, "risk", "is not supported yet"),
        ("alarms: on", 6, "alarms", "is not a key here; there are model, task,"),
        ("strategy: canary", 6, "strategy", "is not a key here but in release"),
        ("sensitive: true", 6, "sensitive", "is not a key here but in features"),
        ("gates:\n  - roc_auc >= 0.7\n  - rmse <= 3", 8, "gates.1", "is for another task"),
        ("gates: ['p99 latency <= 5ms']", 6, "gates.0", "not supported yet"),
        ("gates: [good]", 6, "gates.0", "is no gate"),
        ("training: {metric: rmse}", 6, "training.metric", "no metric for classification"),
        ("training: {budget: 40 hours}", 6, "training.budget", "40 fits"),
        ("training: {budget: 9 fits}", 6, "training.budget", "need 10 fits"),
        ("training: {budget: 7, candidates: [boosting]}", 6, "training.budget", "need 8 fits"),
        ("training: {retrain: {every: 7 days}}", 6, "training.retrain.every", "15m, 6h or 7d"),
        ("data: {max_bad_rows: 120%}", 6, "data.max_bad_rows", "less than 1"),
        ("entity: approved", 6, "entity", "is the target"),
        ("data: {ignore: [age]}", 6, "data.ignore.0", "is used by the model"),
        ("serving: {automatoin: full}", 6, "serving.automatoin", "did you mean automation?"),
        ("serving: {automation: half}", 6, "serving.automation", "'shadow', 'assist', 'partial' or 'full'"),
        ("serving: {automation: partial}", 6, "serving.automation", "needs review_below or uncertainty"),
        ("serving: {review_below: 70%}", 6, "serving.review_below", "is for automation: partial"),
        ("serving: {automation: partial, review_below: 7}", 6, "serving.review_below", "less than 1"),
        ("serving: {uncertainty: guess}", 6, "serving.uncertainty", "there is 'none' or 'conformal'"),
        ("serving: {coverage: 0.8}", 6, "serving.coverage", "is for uncertainty: conformal"),
        ("serving: {uncertainty: conformal, coverage: 1%}", 6, "serving.coverage", "must be 0.5 or more"),
        ("target: x", 6, "target", "stands twice; the first is on line 3"),
        ("entity: yes", 6, "entity", "must be text, not true; YAML reads yes, no, on and off so: put it in quotes"),
        ("entity: 2024", 6, "entity", "must be text, not 2024; put it in quotes"),
        ("  no: {type: number}", 4, "features", "a key must be text, not false"),
        ("  pay: number", 6, "features.pay", "must be keys with values, like {key: value}, not 'number'"),
        ("  pay: {type: number, min: low}", 6, "features.pay.min", "must be a number, not 'low'"),
        ("data:", 6, "data", "must be keys with values, like {key: value}, not empty"),
        ("data: {min_rows: 5}", 6, "data.min_rows", "must be 10 or more, not 5"),
        ("data: {ignore: row}", 6, "data.ignore", "must be a list, like [first, second], not 'row'"),
        ("positive: 1.5", 6, "positive", "must be text or a whole number or true or false, not 1.5"),
        ("classes: ['no', 'yes']\npositive: maybe", 7, "positive", "is 'maybe', which classes does not name"),
        ("classes: ['yes']", 6, "classes", "must name at least two labels, and each once"),
        ("classes: ['yes', 'no', ' yes']", 6, "classes", "must name at least two labels, and each once"),
        ("classes: ['no', '']", 6, "classes.1", "must not be empty"),
        ("classes: ['a', yes]", 6, "classes.1", "is written yes, which YAML reads as true: where text is meant"),
        ("training: {folds: 2.5}", 6, "training.folds", "must be a whole number, not 2.5"),
        ("training: {candidates: []}", 6, "training.candidates", "must not be empty"),
        ("training: {candidates: [tree]}", 6, "training.candidates.0", "'boosting', not 'tree'"),
        ("training: {retrain: {on_upload: 5}}", 6, "training.retrain.on_upload", "must be true or false, not 5"),
        ("2024: x", 1, "2024", "is not a key here"),
    ],
)
def test_a_finding_names_line_and_key_and_what_would_be_right(added: str, line: int, key: str, says: str) -> None:
    found = findings(f"{SMALLEST}{added}\n")
    assert [(at, name) for at, name, _ in found] == [(line, key)]
    assert says in found[0][2]


@pytest.mark.parametrize(
    ("added", "key", "read"),
    [
        ("  zip: {type: category, values: [02116, 10001]}", "features.zip.values.0", "1102"),
        ("  slot: {type: category, values: [12:30, x]}", "features.slot.values.0", "750"),
        ("  code: {type: category, values: [0x10, x]}", "features.code.values.0", "16"),
        ("  code: {type: category, values: [1_000, x]}", "features.code.values.0", "1000"),
        ("  code: {type: category, values: [1.50, x]}", "features.code.values.0", "1.5"),
        ("  code: {type: category, values: [1.0e+3, x]}", "features.code.values.0", "1000.0"),
        ("  pay: {type: integer, min: 010}", "features.pay.min", "8"),
        ("  02116: {type: number}", "features.02116", "1102"),
        ("positive: yes", "positive", "true"),
        ("positive: Off", "positive", "false"),
        ("positive: 010", "positive", "8"),
        ("classes: [01, 02]", "classes.0", "1"),
    ],
)
def test_what_yaml_reads_as_something_else_is_refused(added: str, key: str, read: str) -> None:
    (line, found, says), *_ = [each for each in findings(f"{SMALLEST}{added}\n") if each[1] == key]
    written = says.removeprefix("is written ").split(",")[0]
    assert (line, found) == (6, key)
    assert says == f'is written {written}, which YAML reads as {read}: where text is meant, write "{written}"'
    assert written in added


@pytest.mark.parametrize("written", ["2024-13-01", "0x_"])
def test_what_yaml_cannot_read_is_told_with_its_place(written: str) -> None:
    said = f'is written {written}, which YAML cannot read: where text is meant, write "{written}"'
    assert findings(f"{SMALLEST}positive: {written}\n") == [(6, "positive", said)]


def test_numbers_and_labels_that_yaml_reads_as_they_are_written_are_taken() -> None:
    added = "  code: {type: category, values: [1, -2, 1.5, 1e3, '010']}\npositive: true\nserving: {explain: yes}\n"
    contract = parse_contract(f"{SMALLEST}{added}", "x")
    assert contract.features["code"].values == ("1", "-2", "1.5", "1e3", "010")
    assert (contract.positive, contract.serving.explain) == (True, True)


def test_a_regression_is_asked_what_is_wrong_only_with_a_tolerance() -> None:
    asked = SMALLEST.replace("classification", "regression") + "release:\n  margins: {wrong: 2%}\n"
    assert findings(asked) == [(7, "release.margins.wrong", "needs release.tolerance, to tell which values are wrong")]
    assert parse_contract(f"{asked}  tolerance: 2.5\n", "x").release.tolerance == 2.5


def test_classes_are_for_classification_and_may_be_numbers() -> None:
    regression = SMALLEST.replace("classification", "regression")
    assert findings(f"{regression}classes: [a, b]\n") == [(6, "classes", "is for classification")]
    assert parse_contract(f"{SMALLEST}classes: [0, 1]\npositive: 1\n", "x").classes == ("0", "1")


def test_selective_labels_are_no_finding_where_nothing_asks_for_them() -> None:
    assert parse_contract(f"{SMALLEST}labels: selective\n", "x").labels == "selective"


@pytest.mark.parametrize("name", ["Loans", "9loans", "lo ans", "l" * 64])
def test_a_name_that_no_model_can_have_is_told_what_one_is(name: str) -> None:
    assert findings(SMALLEST.replace("loans", name))[0][2].startswith("must be a lower-case letter and then")


def test_a_value_is_never_unsure_by_itself_and_many_features_are_not_explained() -> None:
    regression = SMALLEST.replace("classification", "regression")
    ((_, key, says),) = findings(f"{regression}serving: {{automation: partial, uncertainty: conformal}}\n")
    assert (key, says[:10]) == ("serving.automation", "partial is")
    many = SMALLEST + "".join(f"  f{place}: {{type: number}}\n" for place in range(100))
    ((_, key, says),) = findings(f"{many}serving: {{explain: true}}\n")
    assert (key, says) == ("serving.explain", "is for at most 100 features, and there are 101")


def test_an_alias_is_refused_before_it_is_followed() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert findings(bomb)[0][2] == "has an alias, *a; write it out"


def test_every_finding_is_told_at_once() -> None:
    text = SMALLEST.replace("integer", "intger") + "trainig: {}\n"
    assert [line for line, _, _ in findings(text)] == [5, 6]


@pytest.mark.parametrize("text", ["", "42", "- a", "model: [", "a: b: c", "[" * 3000])
def test_what_is_no_mapping_is_told_so(text: str) -> None:
    assert findings(text)[0][0] == 1


def test_a_digest_changes_with_meaning_only() -> None:
    plain = parse_contract(SMALLEST, "x")
    spelled = parse_contract(f"# why\n{SMALLEST}training: {{folds: 5}}\n", "x")
    other = parse_contract(f"{SMALLEST}training: {{folds: 4}}\n", "x")
    assert plain.digest == spelled.digest != other.digest


def test_a_contract_survives_its_json() -> None:
    text = f"{SMALLEST}training: {{budget: 12 fits, retrain: {{every: 30d}}}}\ndata: {{max_bad_rows: 3%}}\n"
    contract = parse_contract(text, "x")
    assert Contract.model_validate(contract.model_dump(mode="json")) == contract


def test_an_unknown_model_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "loans").mkdir()
    (tmp_path / "loans" / "model.yaml").write_text(SMALLEST)
    with pytest.raises(NotFound, match="did you mean loans") as caught:
        Contracts(tmp_path).load("laons")
    assert caught.value.code == "UNKNOWN_MODEL"


@pytest.mark.parametrize("name", ["../loans", "loans/../loans", "", "loans\n", "a" * 3000])
def test_a_model_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "loans").mkdir()
    (tmp_path / "loans" / "model.yaml").write_text(SMALLEST)
    with pytest.raises(NotFound):
        Contracts(tmp_path).load(name)


def test_folder_and_name_must_agree(tmp_path: Path) -> None:
    (tmp_path / "credit").mkdir()
    (tmp_path / "credit" / "model.yaml").write_text(SMALLEST)
    with pytest.raises(ContractError, match="must agree"):
        load_contract(tmp_path / "credit" / "model.yaml")


def test_a_contract_that_is_not_text_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ContractError, match="not UTF-8"):
        load_contract(tmp_path / "model.yaml")


def test_a_folder_is_no_contract(tmp_path: Path) -> None:
    (tmp_path / "loans" / "model.yaml").mkdir(parents=True)
    with pytest.raises(ContractError, match="is a folder, not a file"):
        Contracts(tmp_path).load("loans")


def test_a_finding_names_the_file_as_its_owner_knows_it(tmp_path: Path) -> None:
    (tmp_path / "loans").mkdir()
    (tmp_path / "loans" / "model.yaml").write_text("model: other")
    with pytest.raises(ContractError) as caught:
        Contracts(tmp_path).load("loans")
    assert {problem.file for problem in caught.value.problems} == {"models/loans/model.yaml"}
