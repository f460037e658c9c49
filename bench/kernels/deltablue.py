"""Constraints that are kept by small methods of many classes: DeltaBlue, after Freeman-Benson, Maloney and Borning.

"An Incremental Constraint Solver", CACM 33 (1990): local propagation along a graph of one-way methods, by strength.
"""

# ruff: noqa: ARG002 - methods of sisters share their parameters

from itertools import pairwise

REQUIRED, STRONG, PREFERRED, NORMAL, DEFAULT, WEAKEST = range(6)
NONE, FORWARD, BACKWARD = range(3)


def is_stronger(one, other):
    return one < other


class Variable:
    def __init__(self, name, value=0):
        self.name = name
        self.value = value
        self.constraints = []
        self.determined_by = None
        self.mark = 0
        self.walkabout = WEAKEST
        self.stays = True

    def add(self, constraint):
        self.constraints.append(constraint)

    def remove(self, constraint):
        self.constraints.remove(constraint)
        if self.determined_by is constraint:
            self.determined_by = None


class Constraint:
    def __init__(self, strength):
        self.strength = strength

    def is_input(self):
        return False

    def start(self, planner):
        self.add_to_graph()
        planner.add(self)

    def stop(self, planner):
        if self.is_satisfied():
            planner.remove(self)
        self.remove_from_graph()

    def satisfy(self, mark, planner):
        self.choose(mark)
        if not self.is_satisfied():
            if self.strength == REQUIRED:
                raise ValueError("a required constraint cannot be kept")
            return None
        self.mark_inputs(mark)
        out = self.output()
        overridden = out.determined_by
        if overridden is not None:
            overridden.give_up()
        out.determined_by = self
        if not planner.propagate(self, mark):
            raise ValueError("a cycle")
        out.mark = mark
        return overridden


class Unary(Constraint):
    def __init__(self, variable, strength, planner):
        super().__init__(strength)
        self.variable = variable
        self.satisfied = False
        self.start(planner)

    def add_to_graph(self):
        self.variable.add(self)
        self.satisfied = False

    def remove_from_graph(self):
        self.variable.remove(self)
        self.satisfied = False

    def choose(self, mark):
        self.satisfied = self.variable.mark != mark and is_stronger(self.strength, self.variable.walkabout)

    def is_satisfied(self):
        return self.satisfied

    def mark_inputs(self, mark):
        pass

    def inputs_known(self, mark):
        return True

    def output(self):
        return self.variable

    def give_up(self):
        self.satisfied = False

    def recalculate(self):
        self.variable.walkabout = self.strength
        self.variable.stays = not self.is_input()
        if self.variable.stays:
            self.execute()

    def execute(self):
        pass


class Stay(Unary):
    pass


class Edit(Unary):
    def is_input(self):
        return True


class Binary(Constraint):
    def __init__(self, one, two, strength, planner):
        super().__init__(strength)
        self.one = one
        self.two = two
        self.direction = NONE
        self.start(planner)

    def choose(self, mark):
        if self.one.mark == mark:
            self.direction = FORWARD if self.prefers(self.two, mark) else NONE
        elif self.two.mark == mark:
            self.direction = BACKWARD if self.prefers(self.one, mark) else NONE
        elif is_stronger(self.two.walkabout, self.one.walkabout):
            self.direction = BACKWARD if is_stronger(self.strength, self.one.walkabout) else NONE
        else:
            self.direction = FORWARD if is_stronger(self.strength, self.two.walkabout) else NONE

    def prefers(self, variable, mark):
        return variable.mark != mark and is_stronger(self.strength, variable.walkabout)

    def add_to_graph(self):
        self.one.add(self)
        self.two.add(self)
        self.direction = NONE

    def remove_from_graph(self):
        self.one.remove(self)
        self.two.remove(self)
        self.direction = NONE

    def is_satisfied(self):
        return self.direction != NONE

    def input(self):
        return self.one if self.direction == FORWARD else self.two

    def output(self):
        return self.two if self.direction == FORWARD else self.one

    def mark_inputs(self, mark):
        self.input().mark = mark

    def inputs_known(self, mark):
        variable = self.input()
        return variable.mark == mark or variable.stays or variable.determined_by is None

    def give_up(self):
        self.direction = NONE

    def recalculate(self):
        source, out = self.input(), self.output()
        out.walkabout = max(self.strength, source.walkabout)
        out.stays = source.stays
        if out.stays:
            self.execute()


class Equal(Binary):
    def execute(self):
        self.output().value = self.input().value


class Scale(Binary):
    def __init__(self, source, scale, offset, two, strength, planner):
        self.scale = scale
        self.offset = offset
        super().__init__(source, two, strength, planner)

    def add_to_graph(self):
        super().add_to_graph()
        self.scale.add(self)
        self.offset.add(self)

    def remove_from_graph(self):
        super().remove_from_graph()
        self.scale.remove(self)
        self.offset.remove(self)

    def mark_inputs(self, mark):
        super().mark_inputs(mark)
        self.scale.mark = self.offset.mark = mark

    def execute(self):
        if self.direction == FORWARD:
            self.two.value = self.one.value * self.scale.value + self.offset.value
        else:
            self.one.value = (self.two.value - self.offset.value) // self.scale.value

    def recalculate(self):
        source, out = self.input(), self.output()
        out.walkabout = max(self.strength, source.walkabout)
        out.stays = source.stays and self.scale.stays and self.offset.stays
        if out.stays:
            self.execute()


class Planner:
    def __init__(self):
        self.mark = 0

    def new_mark(self):
        self.mark += 1
        return self.mark

    def add(self, constraint):
        mark = self.new_mark()
        overridden = constraint.satisfy(mark, self)
        while overridden is not None:
            overridden = overridden.satisfy(mark, self)

    def remove(self, constraint):
        out = constraint.output()
        constraint.give_up()
        constraint.remove_from_graph()
        for freed in sorted(self.freed_below(out), key=lambda each: each.strength):
            self.add(freed)
        constraint.add_to_graph()

    def freed_below(self, out):
        out.determined_by = None
        out.walkabout = WEAKEST
        out.stays = True
        freed, todo = [], [out]
        while todo:
            variable = todo.pop()
            freed.extend(each for each in variable.constraints if not each.is_satisfied())
            for constraint in self.consumers(variable):
                constraint.recalculate()
                todo.append(constraint.output())
        return freed

    def consumers(self, variable):
        determining = variable.determined_by
        return [each for each in variable.constraints if each is not determining and each.is_satisfied()]

    def propagate(self, constraint, mark):
        todo = [constraint]
        while todo:
            each = todo.pop()
            if each.output().mark == mark:
                self.remove(constraint)
                return False
            each.recalculate()
            todo.extend(self.consumers(each.output()))
        return True

    def plan(self, sources):
        mark = self.new_mark()
        plan, todo = [], [each for each in sources if each.is_input() and each.is_satisfied()]
        while todo:
            constraint = todo.pop()
            out = constraint.output()
            if out.mark != mark and constraint.inputs_known(mark):
                plan.append(constraint)
                out.mark = mark
                todo.extend(self.consumers(out))
        return plan

    def change(self, variable, value):
        edit = Edit(variable, PREFERRED, self)
        plan = self.plan([edit])
        for new in (value, value + 1, value + 2):
            variable.value = new
            for constraint in plan:
                constraint.execute()
        edit.stop(self)


def chain(length):
    planner = Planner()
    variables = [Variable(f"v{i}") for i in range(length + 1)]
    for one, two in pairwise(variables):
        Equal(one, two, REQUIRED, planner)
    Stay(variables[-1], DEFAULT, planner)
    planner.change(variables[0], 40)
    return variables[-1].value


def projection(count):
    planner = Planner()
    scale, offset = Variable("scale", 10), Variable("offset", 1000)
    pairs = []
    for i in range(count):
        source, target = Variable(f"s{i}", i), Variable(f"t{i}", i)
        Stay(source, NORMAL, planner)
        Scale(source, scale, offset, target, REQUIRED, planner)
        pairs.append((source, target))
    planner.change(pairs[0][0], 17)
    planner.change(pairs[-1][1], 1050)
    planner.change(scale, 5)
    planner.change(offset, 2000)
    return sum(target.value for _, target in pairs)


def run(size):
    return [(chain(20), projection(20)) for _ in range(size)][-1]
