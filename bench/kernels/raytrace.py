"""Vectors, spheres and planes: a small picture by following rays of light."""

# ruff: noqa: ARG002 - methods of sisters share their parameters

import math

FAR = 1e9
NEAR = 1e-6


class Vector:
    def __init__(self, x, y, z):
        self.x = x
        self.y = y
        self.z = z

    def dot(self, other):
        return self.x * other.x + self.y * other.y + self.z * other.z

    def plus(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def minus(self, other):
        return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

    def times(self, factor):
        return Vector(self.x * factor, self.y * factor, self.z * factor)

    def length(self):
        return math.sqrt(self.dot(self))

    def unit(self):
        return self.times(1.0 / self.length())

    def reflected(self, normal):
        return self.minus(normal.times(2 * self.dot(normal)))


class Ray:
    def __init__(self, start, direction):
        self.start = start
        self.direction = direction.unit()

    def at(self, distance):
        return self.start.plus(self.direction.times(distance))


class Thing:
    def __init__(self, colour, shine):
        self.colour = colour
        self.shine = shine

    def colour_at(self, point):
        return self.colour


class Sphere(Thing):
    def __init__(self, centre, radius, colour, shine):
        super().__init__(colour, shine)
        self.centre = centre
        self.radius = radius

    def distance(self, ray):
        towards = self.centre.minus(ray.start)
        along = towards.dot(ray.direction)
        under = self.radius * self.radius - (towards.dot(towards) - along * along)
        return None if under < 0 else along - math.sqrt(under)

    def normal(self, point):
        return point.minus(self.centre).unit()


class Plane(Thing):
    def __init__(self, height, colours, shine):
        super().__init__(colours[0], shine)
        self.height = height
        self.colours = colours
        self.up = Vector(0, 1, 0)

    def distance(self, ray):
        slope = ray.direction.y
        return None if abs(slope) < NEAR else (self.height - ray.start.y) / slope

    def normal(self, point):
        return self.up

    def colour_at(self, point):
        return self.colours[(math.floor(point.x) + math.floor(point.z)) % 2]


class Scene:
    def __init__(self, things, light):
        self.things = things
        self.light = light

    def hit(self, ray):
        best, nearest = None, FAR
        for thing in self.things:
            distance = thing.distance(ray)
            if distance is not None and NEAR < distance < nearest:
                best, nearest = thing, distance
        return best, nearest

    def is_lit(self, point):
        thing, _ = self.hit(Ray(point, self.light.minus(point)))
        return thing is None

    def colour(self, ray, depth):
        thing, distance = self.hit(ray)
        if thing is None:
            return 0.1, 0.1, 0.2
        point = ray.at(distance)
        normal = thing.normal(point)
        bright = 0.2
        if self.is_lit(point):
            bright += 0.8 * max(0.0, normal.dot(self.light.minus(point).unit()))
        red, green, blue = thing.colour_at(point)
        shine = thing.shine if depth else 0.0
        mirrored = self.colour(Ray(point, ray.direction.reflected(normal)), depth - 1) if shine else (0, 0, 0)
        own = bright * (1 - shine)
        return red * own + mirrored[0] * shine, green * own + mirrored[1] * shine, blue * own + mirrored[2] * shine


def picture(scene, width):
    eye = Vector(0, 1.5, -6)
    total = 0.0
    for row in range(width):
        for column in range(width):
            across, up = column / width - 0.5, 0.5 - row / width
            total += sum(scene.colour(Ray(eye, Vector(across, up, 1.0)), 2))
    return total


def run(size):
    spheres = [Sphere(Vector(i - 2.0, 0.6 + i % 2, i * 0.7), 0.6, (0.2 * i, 0.9 - 0.2 * i, 0.5), 0.3) for i in range(5)]
    scene = Scene([*spheres, Plane(0.0, [(0.9, 0.9, 0.9), (0.1, 0.1, 0.1)], 0.1)], Vector(4, 6, -4))
    return round(picture(scene, int(3 * math.sqrt(size)) + 2), 6)
