"""Objects with operators: a random walk through a spline's transformations, drawn into a grid."""


class Draws:
    """Numbers that look random and are the same in each run."""

    def __init__(self, state):
        self.state = state

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % limit


class Vector:
    def __init__(self, x=0.0, y=0.0):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        return Vector(self.x - other.x, self.y - other.y)

    def mixed(self, other, share):
        return Vector(self.x + share * (other.x - self.x), self.y + share * (other.y - self.y))

    def length(self):
        return (self.x * self.x + self.y * self.y) ** 0.5


class Spline:
    """A curve through control points, by de Boor's algorithm."""

    def __init__(self, points, degree):
        self.points = points
        self.degree = degree
        inner = len(points) - degree
        self.knots = [0] * degree + list(range(inner + 1)) + [inner] * degree

    def domain(self):
        return self.knots[self.degree], self.knots[len(self.points)]

    def segment(self, u):
        for i in range(self.degree, len(self.points)):
            if self.knots[i] <= u < self.knots[i + 1]:
                return i
        return len(self.points) - 1

    def at(self, u):
        k = self.segment(u)
        row = [self.points[k - self.degree + i] for i in range(self.degree + 1)]
        for r in range(1, self.degree + 1):
            for i in range(self.degree, r - 1, -1):
                left = self.knots[k - self.degree + i]
                span = self.knots[i + 1 + k - r] - left
                row[i] = row[i - 1].mixed(row[i], (u - left) / span if span else 0.0)
        return row[self.degree]


class Game:
    def __init__(self, splines, width, draws):
        self.splines = splines
        self.width = width
        self.draws = draws
        self.grid = [[0] * width for _ in range(width)]

    def transformed(self, point):
        spline = self.splines[self.draws.below(len(self.splines))]
        start, end = spline.domain()
        step = 1 / 64
        here = spline.at(start + point.x * (end - start) * 0.999)
        beyond = spline.at(min(end, start + point.x * (end - start) * 0.999 + step))
        along = beyond - here
        length = along.length() or 1.0
        across = Vector(along.y / length * (point.y - 0.5) * 0.1, -along.x / length * (point.y - 0.5) * 0.1)
        return self.inside(here + across)

    def inside(self, point):
        return Vector(min(max(point.x, 0.0), 1.0), min(max(point.y, 0.0), 1.0))

    def play(self, steps):
        point = Vector(0.5, 0.5)
        for _ in range(steps):
            point = self.transformed(point)
            self.mark(point)
        return sum(map(bool, (cell for row in self.grid for cell in row)))

    def mark(self, point):
        x, y = int(point.x * (self.width - 1)), int(point.y * (self.width - 1))
        self.grid[y][x] += 1


def run(size):
    splines = [
        Spline([Vector(0.1, 0.1), Vector(0.9, 0.2), Vector(0.3, 0.6), Vector(0.7, 0.9)], 3),
        Spline([Vector(0.9, 0.1), Vector(0.5, 0.4), Vector(0.4, 0.5), Vector(0.1, 0.8), Vector(0.2, 0.9)], 3),
        Spline([Vector(0.5, 0.0), Vector(0.4, 0.5), Vector(0.6, 1.0)], 2),
    ]
    return Game(splines, 60, Draws(42)).play(size * 60)
