"""Clusters of Ray on this machine, whose nodes are killed and added while a job runs.

Takes: how many nodes. Promises: each is a set of processes of its own, small ones; a node that is killed goes without a
word, with all that it holds; whatever happens, nothing of it is left afterwards.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from jobspec.runtime.reporter import Silent
from jobspec.runtime.workers.ray_cluster import ray_module

ROOM = 80 << 20


class Nodes:
    """A cluster whose head computes nothing. Nodes are added by the thread that made it, as Ray wants it."""

    def __init__(self, cluster: Any) -> None:
        self.cluster, self.alive, self.killed = cluster, list[Any](), 0

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, count: int = 1) -> None:
        self.alive += [self.cluster.add_node(num_cpus=1, object_store_memory=ROOM) for _ in range(count)]

    def kill(self, number: int) -> None:
        node = self.alive.pop(number)
        self.cluster.remove_node(node, allow_graceful=False)
        self.killed += 1


@contextmanager
def cluster(nodes: int) -> Iterator[Nodes]:
    ray_module()
    utils = import_module("ray.cluster_utils")
    head = {"num_cpus": 0, "object_store_memory": ROOM, "include_dashboard": False}
    made = Nodes(utils.Cluster(initialize_head=True, head_node_args=head))
    try:
        made.add(nodes)
        yield made
    finally:
        made.cluster.shutdown()


class Killer(Silent):
    """A run's listener that has a node killed after a time drawn by chance, and another added when the run tells of the
    next progress; `most` times, and not before the first step is done."""

    def __init__(self, nodes: Nodes, seed: int, most: int, seconds: float = 1.0) -> None:
        self.nodes, self.chance, self.most, self.seconds = nodes, random.Random(seed), most, seconds
        self.timer: threading.Timer | None = None
        self.notes: list[str] = []

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None:
        if self.timer is not None and self.timer.is_alive():
            return
        if self.timer is not None:
            self.nodes.add()
        self.timer = None
        if self.most > 0:
            self.most -= 1
            number = self.chance.randrange(len(self.nodes.alive))
            self.timer = threading.Timer(self.chance.random() * self.seconds, self.nodes.kill, [number])
            self.timer.start()

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(text)

    def end(self) -> None:
        if self.timer is not None:
            self.timer.join()
            self.nodes.add()
            self.timer = None
