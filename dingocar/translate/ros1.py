"""A ROS 1 node: compressed pictures of one topic, translated, on another.

Debian's packages bring ROS for the system's Python: `apt-get install ros-core python3-rospy
python3-sensor-msgs`. They are found from any environment of the same Python version, behind the environment's
own packages.
"""

from __future__ import annotations

import http.client
import importlib
import logging
import sys
import threading
import xmlrpc.client
from pathlib import Path
from typing import Any

from dingocar.errors import UsageError
from dingocar.translate.proxy import PictureProxy

#: Where Debian's packages for the system's Python are.
SYSTEM = Path("/usr/lib/python3/dist-packages")
#: Seconds that a master has for its answer.
MASTER_S = 5.0
_TYPE = "sensor_msgs/CompressedImage"
INSTALL = "sudo apt-get install ros-core python3-rospy python3-sensor-msgs"

logger = logging.getLogger(__name__)


class Ros1Node:
    """Answers each `sensor_msgs/CompressedImage` of a topic with its translation on another, in order.

    The answer has the message's header: its time is that of the picture.

    Args:
        proxy: what translates.
        topic_in, topic_out: their names.
        queue: messages that wait, at most; older ones are dropped, as they are no use to a car.
        name: of the node.

    Raises:
        UsageError: ROS is not installed, no master answers, a topic's name is none, or other messages are
            published on it.
    """

    def __init__(
        self, proxy: PictureProxy, topic_in: str, topic_out: str, queue: int = 10, name: str = "translate"
    ) -> None:
        rospy, messages, graph = _packages()
        for topic in (topic_in, topic_out):
            if not topic or not graph.names.is_legal_name(topic):
                raise UsageError(
                    f"{topic!r}: expected the name of a topic, such as /camera_node/image/compressed"
                )
        check_master()
        self._graph, self._master = graph, True
        self._proxy, self._message, self._rospy = proxy, messages.CompressedImage, rospy
        if graph.names.resolve_name(topic_in, "/") == graph.names.resolve_name(topic_out, "/"):
            raise UsageError(f"{topic_in}: a node must not answer itself; name another topic to answer on")
        root, ours = logging.getLogger(), logging.getLogger("dingocar")
        told, level = list(root.handlers), root.level
        # Signals are whoever's who runs this.
        rospy.init_node(name, anonymous=True, disable_signals=True)
        ours.setLevel(level)  # rospy has sent all logging to its own file
        for handler in told:
            ours.addHandler(handler)
        self._topic_in = rospy.resolve_name(topic_in)
        self._check_type()
        self._out = rospy.Publisher(topic_out, messages.CompressedImage, queue_size=queue)
        self._in = rospy.Subscriber(
            topic_in, messages.CompressedImage, self._answer, queue_size=queue, buff_size=1 << 24
        )
        self._ended = threading.Event()
        rospy.on_shutdown(self._ended.set)

    def wait(self, seconds: float) -> bool:
        """Waits; returns whether ROS has ended the node.

        Raises:
            UsageError: no picture has come, as other messages are published on the topic.
        """
        ended = self._ended.wait(seconds)
        before, self._master = self._master, ended or _answers(self._graph)
        if before and not self._master:
            logger.warning("the ROS master has gone: those who talk go on, and nobody new can come")
        if not (ended or self._proxy.answered):
            self._check_type()
        return ended

    def close(self) -> None:
        """Ends the node."""
        self._in.unregister()
        self._rospy.signal_shutdown("closed")

    def _check_type(self) -> None:
        """Subscribers of another type hear nothing, and nobody tells them."""
        try:
            found = dict(self._rospy.get_published_topics()).get(self._topic_in, _TYPE)
        except (OSError, self._rospy.ROSException):  # the master is gone, and may come back
            return
        if found != _TYPE:
            self._rospy.signal_shutdown("nothing to translate")
            raise UsageError(
                f"{self._topic_in}: carries {found}, expected {_TYPE}; compress it: rosrun image_transport "
                f"republish raw in:={self._topic_in} compressed out:=NAME"
            )

    def _answer(self, message: Any) -> None:
        raw = bytes(message.data)
        data = self._proxy.answer(raw)
        kind = message.format if data is raw else "jpeg"  # what is passed through may be a PNG
        self._out.publish(self._message(header=message.header, format=kind, data=data))


def check_master() -> None:
    """Raises a `UsageError` unless ROS is installed and its master answers."""
    graph = _packages()[2]
    if not _answers(graph):
        raise UsageError(
            f"no ROS master answers at {graph.get_master_uri()}: start roscore, or set ROS_MASTER_URI"
        )


class _Impatient(xmlrpc.client.Transport):
    """ROS itself would wait for ever for a master that takes the call and says nothing."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = MASTER_S
        return connection


def _answers(graph: Any) -> bool:
    """Whether the master answers, within `MASTER_S`."""
    try:
        xmlrpc.client.ServerProxy(graph.get_master_uri(), _Impatient()).getPid("/dingocar")
    except (OSError, ValueError, xmlrpc.client.Error, http.client.HTTPException):
        return False
    return True


def _packages() -> tuple[Any, Any, Any]:
    """rospy, sensor_msgs.msg, rosgraph."""
    names = ("rospy", "sensor_msgs.msg", "rosgraph")
    try:
        found = [importlib.import_module(name) for name in names]
    except ImportError as first:
        if str(SYSTEM) in sys.path or not (SYSTEM / "rospy").is_dir():
            raise UsageError(
                f"ROS 1 is not installed for this Python ({first}): {INSTALL}, and take the system's Python "
                "version"
            ) from None
        sys.path.append(str(SYSTEM))  # behind all others: an environment's own packages win
        try:
            found = [importlib.import_module(name) for name in names]
        except ImportError as error:
            raise UsageError(
                f"ROS 1 of {SYSTEM} cannot be loaded by Python {sys.version.split()[0]} ({error}): take the "
                f"system's Python version, and {INSTALL}"
            ) from None
    return found[0], found[1], found[2]
