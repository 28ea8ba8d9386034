"""Workers that wait for each other.

Luigi's own worker leaves as soon as the scheduler has nothing for it, also when another worker is just running what it
needs, and reports `already_running` or `not_run`: of two runs over overlapping intervals one would fail. Its
`keep_alive` stays for ever once a task has failed.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Collection
from typing import Any

import luigi.interface
import luigi.worker

from pipeline.once_a_run import forget
from pipeline.remote_scheduler import create_remote_scheduler


def wait_for_other_workers() -> None:
    """Have the workers of this process wait for what other workers are running."""
    factory = luigi.interface._WorkerSchedulerFactory  # noqa: SLF001 - the command line offers no other way to a worker
    factory.create_worker = _create_worker
    factory.create_remote_scheduler = create_remote_scheduler


class WaitingWorker(luigi.worker.Worker):
    """A worker that stays while something it needs can still be completed, by another worker or by itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        super().__init__(*args, **kwargs)
        self._taken_over: set[str] = set()
        # What was complete stays so while a run lasts. Luigi's own setting for this starts a process to share it.
        self._task_completion_cache: dict[str, bool] = {}

    def run(self) -> bool:
        """Run the scheduled tasks; what others completed meanwhile counts as completed."""
        try:
            return self._run_and_wait()
        finally:
            forget()  # a service runs again in the same process, on what is then in the source

    def _run_and_wait(self) -> bool:
        gc.freeze()  # modules and tasks stay: no need to look through them for garbage, nor to copy them in a fork
        atexit.register(gc.unfreeze)  # libraries written in C++ report what is left at the end as leaked
        succeeded: bool = super().run()
        for task in self._open_tasks():
            if task.complete():
                self._add_task_history.append((task, "DONE", True))
        # Luigi's summary would read from this history that work was left to others; it was waited for.
        waiting = [response for response in self._get_work_response_history if response["task_id"] is None]
        for response in waiting:
            self._get_work_response_history.remove(response)
        return succeeded

    def _run_task(self, task_id: str) -> None:
        """Run a task, unless it has failed here before: schedulers revive what failed, and a run has to end."""
        if task_id in self._ended("FAILED"):
            self._add_task(
                worker=self._id, task_id=task_id, status="FAILED", runnable=False, expl="it has failed in this run"
            )
        else:
            super()._run_task(task_id)

    def _keep_alive(self, response: Any) -> bool:  # noqa: ANN401 - Luigi is untyped
        if not response.n_pending_tasks:
            return False
        failed = {task_id for task_id in self._scheduler.task_list("FAILED", "") if task_id in self._scheduled_tasks}
        return self._take_over(failed) or self._can_go_on(failed)

    def _take_over(self, failed: Collection[str]) -> bool:
        """Whether tasks that failed elsewhere, or whose worker died, were scheduled again; each is once."""
        # A task that is complete may stand there too: its worker died before it said so.
        theirs = set(failed) - self._taken_over - self._ended("FAILED", "UNKNOWN")
        for task_id in theirs:
            self._taken_over.add(task_id)
            self.add(self._scheduled_tasks[task_id])
        return bool(theirs)

    def _can_go_on(self, failed: Collection[str]) -> bool:
        """Whether a task is left that does not depend on a failed one."""
        hopeless = dict.fromkeys([*failed, *self._ended("FAILED", "UNKNOWN")], True)

        def is_hopeless(task: Any) -> bool:  # noqa: ANN401 - Luigi is untyped
            if task.task_id not in hopeless:
                hopeless[task.task_id] = any(is_hopeless(needed) for needed in task.deps())
            return hopeless[task.task_id]

        return not all(is_hopeless(task) for task in self._open_tasks())

    def _open_tasks(self) -> list[Any]:
        ended = self._ended()
        return [task for task_id, task in self._scheduled_tasks.items() if task_id not in ended]

    def _ended(self, *statuses: str) -> set[str]:
        statuses = statuses or ("DONE", "FAILED", "UNKNOWN")
        return {task.task_id for task, status, _ in self._add_task_history if status in statuses}


def _create_worker(_factory: object, scheduler: Any, worker_processes: int, assistant: bool = False) -> WaitingWorker:  # noqa: ANN401, FBT001, FBT002 - Luigi's signature
    return WaitingWorker(scheduler=scheduler, worker_processes=worker_processes, assistant=assistant)
