"""How long what devices tell each other takes.

Takes: a cluster, a group of devices, bytes. Promises: seconds of ring algorithms (Thakur, Rabenseifner, Gropp 2005): a
gather or a reduction that leaves each device a part sends (n-1)/n of all bytes over the slowest link of the ring and
waits n-1 times for it. A group inside one node uses the node's links; in any other, devices of one node put their
links to the network together.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.estimating.cluster import Cluster


@dataclass(frozen=True)
class Group:
    """`size` devices, neighbours `stride` devices apart."""

    size: int
    stride: int = 1

    def inside(self, cluster: Cluster) -> bool:
        """Whether all of it lies in one node."""
        return self.size * self.stride <= cluster.devices_per_node


def rate(cluster: Cluster, group: Group) -> tuple[float, float]:
    """(bytes a second that each device attains, latency) of the group's slowest links."""
    node = cluster.node.bandwidth * cluster.attained.node
    if group.inside(cluster) or cluster.network is None:
        return node, cluster.node.latency
    together = max(1, min(group.size, cluster.devices_per_node // group.stride))
    return min(node, together * cluster.network.bandwidth * cluster.attained.network), cluster.network.latency


def shared(cluster: Cluster, group: Group, size: float) -> float:
    """Seconds to gather `size` bytes, of which each device has a part, or to add them up, each keeping a part."""
    if group.size == 1:
        return 0.0
    bandwidth, latency = rate(cluster, group)
    return (group.size - 1) * (size / group.size / bandwidth + latency)


def sent(cluster: Cluster, group: Group, size: float) -> float:
    """Seconds to hand `size` bytes to the neighbour."""
    if group.size == 1:
        return 0.0
    bandwidth, latency = rate(cluster, Group(2, group.stride))
    return size / bandwidth + latency
