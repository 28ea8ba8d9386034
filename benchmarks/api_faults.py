"""Every fault of the API alone and all together, in a fifth of the requests: what becomes of 2,000 conversions.

Prints a table; ends with 1 if a conversion is lost, that is neither credited with 1 nor rejected with a reason.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from api_client import LENGTHS, SHARES, journeys

from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.ask import ApiResult, ask, credit_of
from pipeline.ihc_api.pacing import Backoff
from pipeline.ihc_api.settings import ApiSettings
from pipeline.ihc_sandbox.faults import FAULTS, Faults
from pipeline.ihc_sandbox.server import running
from pipeline.ihc_sandbox.service import Sandbox
from targets.files import LocalFiles

CONVERSIONS = 2000
KINDS = ("400", "408", "413", "422", "429", "500", "502", "503", "504", *FAULTS)
TABLE = journeys(np.random.default_rng(4).choice(LENGTHS, CONVERSIONS, p=np.array(SHARES) / sum(SHARES)))


def suffer(every: dict[str, int]) -> tuple[ApiResult, pa.Table, float]:
    """Ask for all conversions in requests of ten journeys: what became of them, their credit, seconds."""
    sandbox = Sandbox(faults=Faults(every=every, retry_after=0))
    with tempfile.TemporaryDirectory() as answers, running(sandbox) as url:
        settings = ApiSettings(
            url=url,
            conv_type_id="default",
            max_customer_journeys=10,
            read_timeout=0.5,
            backoff=Backoff(first=0.01, longest=0.1),
            retry_budget=30,
        )
        store = AnswerStore(LocalFiles(Path(answers)))
        started = time.monotonic()
        result = ask([lambda: TABLE], settings, "key", store)
        seconds = time.monotonic() - started
        return result, credit_of(TABLE, settings, store, result.rejected), seconds


def lost(result: ApiResult, credit: pa.Table) -> int:
    """Conversions that are neither credited with 1 nor rejected with a reason."""
    totals = credit.group_by("conv_id").aggregate([("ihc", "sum")])
    whole = np.isclose(totals["ihc_sum"].to_numpy(), 1, rtol=0, atol=1e-9)
    credited = set(totals["conv_id"].filter(whole).to_pylist())
    rejected = {conv_id for conv_id, reason in result.rejected.items() if reason}
    return len(set(TABLE["conv_id"].to_pylist()) - credited - rejected) + len(credited & rejected)


def main() -> None:
    """Print the table."""
    print(
        f"{'fault in every fifth request':30}{'requests':>10}{'retries':>10}{'rejected':>10}{'lost':>6}{'seconds':>9}"
    )
    everything_lost = 0
    cases = {kind: {kind: 5} for kind in KINDS} | {"all together": dict.fromkeys(KINDS, 5 * len(KINDS))}
    for name, every in cases.items():
        result, credit, seconds = suffer(every)
        counts = result.statistics
        everything_lost += lost(result, credit)
        print(
            f"{name:30}{counts.requests:>10}{counts.retries.total():>10}{len(result.rejected):>10}"
            f"{lost(result, credit):>6}{seconds:>9.1f}"
        )
    sys.exit(everything_lost > 0)


if __name__ == "__main__":
    main()
