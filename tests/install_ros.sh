#!/usr/bin/env bash
# ROS 1 from Debian 12's packages, for the tests of the ROS node.
set -euo pipefail
if command -v roscore >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then
    echo "no roscore here, and no apt-get to install it with: Debian 12 has ros-core, python3-rospy, python3-sensor-msgs" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
$as_root apt-get update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes ros-core python3-rospy python3-sensor-msgs
