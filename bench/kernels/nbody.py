"""Floating point and attribute-free data: the planets of the outer solar system, step by step."""

from math import sqrt

BODIES = [
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 39.47),
    ([4.84, -1.16, -0.10], [0.60, 2.81, -0.02], 0.037),
    ([8.34, 4.12, -0.40], [-1.01, 1.82, 0.008], 0.011),
    ([12.89, -15.11, -0.22], [1.08, 0.86, -0.01], 0.0017),
    ([15.37, -25.91, 0.17], [0.97, 0.59, -0.03], 0.002),
]


def advance(bodies, pairs, dt):
    for (place, speed, mass), (place2, speed2, mass2) in pairs:
        dx, dy, dz = place[0] - place2[0], place[1] - place2[1], place[2] - place2[2]
        squared = dx * dx + dy * dy + dz * dz
        pull = dt / (squared * sqrt(squared))
        for axis, distance in enumerate((dx, dy, dz)):
            speed[axis] -= distance * mass2 * pull
            speed2[axis] += distance * mass * pull
    for place, speed, _ in bodies:
        for axis in range(3):
            place[axis] += dt * speed[axis]


def run(size):
    bodies = [(list(place), list(speed), mass) for place, speed, mass in BODIES]
    pairs = [(one, other) for index, one in enumerate(bodies) for other in bodies[index + 1 :]]
    for _ in range(size * 60):
        advance(bodies, pairs, 0.01)
    return round(sum(place[0] for place, _, _ in bodies), 6)
