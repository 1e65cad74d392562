"""A camera and a listener on ROS 1, a process each: `python -m tests.translate.ros_peers camera ...`."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

from dingocar.translate.ros1 import _packages
from dingocar.tub import Tub


@contextlib.contextmanager
def own_master(folder):
    """Gives `start(*argv, wait_for=None)`, with a ROS master of their own, which keeps its files in `folder`.

    `start` starts a process, and waits until it says `wait_for`. In the end all of them are ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "ROS_MASTER_URI": f"http://127.0.0.1:{port}",
        "ROS_IP": "127.0.0.1",
        "ROS_HOME": str(folder),
    }
    started = []

    def start(*argv, wait_for=None):
        out = subprocess.PIPE if wait_for else subprocess.DEVNULL
        process = subprocess.Popen(argv, env=env, stdout=out, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        lines = []
        while wait_for and not any(wait_for in line for line in lines):
            lines.append(process.stdout.readline())
            assert lines[-1], f"{argv} ended: {''.join(lines)}"
        return process

    start.env = env
    start("roscore", "-p", str(port), wait_for="started core service")
    try:
        yield start
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGINT)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def jpegs_of(tub):
    """A recorded drive's pictures, as they are in its files."""
    return [record.image_path().read_bytes() for record in Tub(tub)]


def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.01)


def camera(topic, tub, first, count, rate_hz):
    """Publishes a recorded drive, from the record `first` on and over again, as soon as somebody listens.

    The number is in the header.
    """
    rospy, messages, _ = _packages()
    rospy.init_node("camera", anonymous=True)
    out = rospy.Publisher(topic, messages.CompressedImage, queue_size=1000)
    wait_for("listener", lambda: out.get_num_connections() > 0)
    drive, pause = jpegs_of(tub), rospy.Rate(float(rate_hz))
    for number in range(int(first), int(first) + int(count)):
        message = messages.CompressedImage(format="jpeg", data=drive[number % len(drive)])
        message.header.frame_id = str(number)
        message.header.stamp = rospy.Time.now()
        out.publish(message)
        pause.sleep()
    # Until the last one has been sent.
    time.sleep(0.5)


def listener(topic, count, file):
    """Writes what has come, as soon as there are so many: [[number, JPEG in hex, seconds since then]]."""
    rospy, messages, _ = _packages()
    found = []

    def hear(message):
        late = (rospy.Time.now() - message.header.stamp).to_sec()
        found.append([int(message.header.frame_id), bytes(message.data).hex(), late])

    rospy.init_node("listener", anonymous=True)
    rospy.Subscriber(topic, messages.CompressedImage, hear, queue_size=1000, buff_size=1 << 24)
    print("listening", flush=True)
    wait_for(f"{count} messages", lambda: len(found) >= int(count), 60 + int(count) / 5)
    with open(file, "w") as out:
        json.dump(found, out)


def raw_camera(topic):
    """Says that it publishes pictures that are not compressed, until it is ended."""
    rospy, messages, _ = _packages()
    rospy.init_node("raw_camera", anonymous=True)
    rospy.Publisher(topic, messages.Image, queue_size=1)
    print("there", flush=True)
    rospy.spin()


if __name__ == "__main__":
    {"camera": camera, "listener": listener, "raw_camera": raw_camera}[sys.argv[1]](*sys.argv[2:])
