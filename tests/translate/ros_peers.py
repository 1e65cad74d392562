"""A camera and a listener on ROS 1, a process each: `python -m tests.translate.ros_peers camera ...`."""

import json
import sys
import time

from dingocar.images import encode_jpeg
from dingocar.translate.ros1 import _packages
from tests.translate.small import pictures


def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.01)


def camera(topic, first, count, rate_hz):
    """Publishes numbered pictures, as soon as somebody listens; the number is in the header."""
    rospy, messages, _ = _packages()
    rospy.init_node("camera", anonymous=True)
    out = rospy.Publisher(topic, messages.CompressedImage, queue_size=1000)
    wait_for("listener", lambda: out.get_num_connections() > 0)
    images = pictures("real", 8)
    for number in range(int(first), int(first) + int(count)):
        message = messages.CompressedImage(format="jpeg", data=encode_jpeg(images[number % 8], 95))
        message.header.frame_id = str(number)
        message.header.stamp = rospy.Time.now()
        out.publish(message)
        time.sleep(1 / float(rate_hz))
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
    wait_for(f"{count} messages", lambda: len(found) >= int(count), 60)
    with open(file, "w") as out:
        json.dump(found, out)


if __name__ == "__main__":
    {"camera": camera, "listener": listener}[sys.argv[1]](*sys.argv[2:])
