"""Jobs, plans and the artifact store: what was computed once is known by its fingerprint.

`study` knows functions and folders, not languages or models.
"""

from lingraft.study.arguments import File
from lingraft.study.building import record_run
from lingraft.study.executors import EXECUTORS, run
from lingraft.study.jobs import Job, job
from lingraft.study.plans import Plan, Row
from lingraft.study.progress import NullProgress, Progress, share_reporter
from lingraft.study.recipes import load_recipe, parse_setting, plan_recipe
from lingraft.study.settings import Bytes
from lingraft.study.store import Artifact, Store
from lingraft.study.totals import describe_totals

__all__ = [
    "EXECUTORS",
    "Artifact",
    "Bytes",
    "File",
    "Job",
    "NullProgress",
    "Plan",
    "Progress",
    "Row",
    "Store",
    "describe_totals",
    "job",
    "load_recipe",
    "parse_setting",
    "plan_recipe",
    "record_run",
    "run",
    "share_reporter",
]
