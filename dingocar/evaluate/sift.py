"""Does a translated picture still show the same things in the same places: SIFT keypoints that match.

Source: Lowe 2004, "Distinctive Image Features from Scale-Invariant Keypoints" (the ratio test, section 7.1),
and RANSAC (Fischler and Bolles 1981), as dingocar-research judged its translations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dingocar.errors import MissingExtraError
from dingocar.images import Uint8Array

#: A keypoint's best match must be nearer than this share of its second best one.
RATIO = 0.75
#: Pictures are enlarged to at least this height: small ones have hardly a keypoint.
LEAST_HEIGHT_PX = 240
#: Matches that a homography explains lie within so many pixels of the enlarged picture.
NEAR_PX = 5.0


@dataclass(frozen=True)
class Matches:
    """Means over pictures.

    Attributes:
        keypoints: found in the given picture.
        inliers: matches that the best homography between the two explains.
        share: inliers among the keypoints, of all pictures together.
    """

    keypoints: float
    inliers: float
    share: float


def matches(given: Uint8Array, made: Uint8Array) -> Matches:
    """Matches keypoints of pictures with those of their translations, both uint8 (N, H, W, 3).

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingExtraError("opencv-python-headless", "camera", "matching keypoints (SIFT)") from None
    sift, matcher = cv2.SIFT.create(), cv2.BFMatcher()
    times = max(1, -(-LEAST_HEIGHT_PX // given.shape[1]))
    keypoints, inliers = 0, 0
    for pair in zip(given, made, strict=True):
        seen = []
        for image in pair:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            large = cv2.resize(grey, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
            seen.append(sift.detectAndCompute(large, None))
        (points, known), (others, found) = seen
        keypoints += len(points)
        if len(points) < 4 or len(others) < 4:  # a homography has eight numbers
            continue
        nearest = matcher.knnMatch(known, found, k=2)
        good = [best for best, second in nearest if best.distance < RATIO * second.distance]
        if len(good) < 4:
            continue
        here = np.array([points[match.queryIdx].pt for match in good], np.float32)
        there = np.array([others[match.trainIdx].pt for match in good], np.float32)
        cv2.setRNGSeed(0)
        _, explained = cv2.findHomography(here, there, cv2.RANSAC, NEAR_PX)
        inliers += 0 if explained is None else int(explained.sum())
    count = max(1, len(given))
    return Matches(keypoints / count, inliers / count, inliers / max(1, keypoints))
