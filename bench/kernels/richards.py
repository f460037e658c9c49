"""Classes, inheritance and many small method calls: an operating system's tasks hand packets to each other."""

# ruff: noqa: ARG002 - methods of sisters share their parameters

IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B = range(6)
DEVICE, WORK = 0, 1
BUFFER = 4


class Packet:
    def __init__(self, link, owner, kind):
        self.link = link
        self.owner = owner
        self.kind = kind
        self.datum = 0
        self.data = [0] * BUFFER

    def append_to(self, queue):
        self.link = None
        if queue is None:
            return self
        last = queue
        while last.link is not None:
            last = last.link
        last.link = self
        return queue


class State:
    def __init__(self):
        self.pending = True
        self.waiting = False
        self.holding = False

    def running(self):
        self.pending = self.waiting = self.holding = False
        return self

    def waits(self):
        self.pending = False
        self.waiting = True
        return self

    def waits_with_packet(self):
        self.pending = self.waiting = True
        self.holding = False
        return self

    def is_held_or_waiting(self):
        return self.holding or (not self.pending and self.waiting)

    def is_waiting_with_packet(self):
        return self.pending and self.waiting and not self.holding


class Task(State):
    def __init__(self, system, ident, priority, queue):
        super().__init__()
        self.system = system
        self.ident = ident
        self.priority = priority
        self.queue = queue
        self.link = system.tasks
        system.tasks = self
        system.table[ident] = self
        if queue is None:
            self.running()
        else:
            self.waits_with_packet()

    def work(self, packet):
        raise NotImplementedError

    def add_packet(self, packet, sender):
        if self.queue is None:
            self.queue = packet
            self.pending = True
            if self.priority > sender.priority:
                return self
        else:
            packet.append_to(self.queue)
        return sender

    def run_one(self):
        packet = None
        if self.is_waiting_with_packet():
            packet = self.queue
            self.queue = packet.link
            if self.queue is None:
                self.running()
            else:
                self.waiting = self.holding = False
                self.pending = True
        return self.work(packet)

    def wait(self):
        self.waiting = True
        return self

    def hold(self):
        self.system.holds += 1
        self.holding = True
        return self.link

    def release(self, ident):
        task = self.system.find(ident)
        task.holding = False
        return task if task.priority > self.priority else self

    def send(self, packet):
        task = self.system.find(packet.owner)
        self.system.sent += 1
        packet.link = None
        packet.owner = self.ident
        return task.add_packet(packet, self)


class IdleTask(Task):
    def __init__(self, system, count):
        super().__init__(system, IDLE, 0, None)
        self.control = 1
        self.count = count

    def work(self, packet):
        self.count -= 1
        if self.count == 0:
            return self.hold()
        if self.control & 1 == 0:
            self.control //= 2
            return self.release(DEVICE_A)
        self.control = self.control // 2 ^ 0xD008
        return self.release(DEVICE_B)


class WorkTask(Task):
    def __init__(self, system, queue):
        super().__init__(system, WORKER, 1000, queue)
        self.waits_with_packet()
        self.target = HANDLER_A
        self.letter = 0

    def work(self, packet):
        if packet is None:
            return self.wait()
        self.target = HANDLER_B if self.target == HANDLER_A else HANDLER_A
        packet.owner = self.target
        packet.datum = 0
        for i in range(BUFFER):
            self.letter = self.letter % 26 + 1
            packet.data[i] = self.letter
        return self.send(packet)


class HandlerTask(Task):
    def __init__(self, system, ident, priority, queue):
        super().__init__(system, ident, priority, queue)
        self.work_in = None
        self.device_in = None

    def work(self, packet):
        if packet is not None:
            if packet.kind == WORK:
                self.work_in = packet.append_to(self.work_in)
            else:
                self.device_in = packet.append_to(self.device_in)
        work = self.work_in
        if work is None:
            return self.wait()
        if work.datum >= BUFFER:
            self.work_in = work.link
            return self.send(work)
        device = self.device_in
        if device is None:
            return self.wait()
        self.device_in = device.link
        device.datum = work.data[work.datum]
        work.datum += 1
        return self.send(device)


class DeviceTask(Task):
    def __init__(self, system, ident, priority):
        super().__init__(system, ident, priority, None)
        self.waits()
        self.held = None

    def work(self, packet):
        if packet is None:
            packet = self.held
            if packet is None:
                return self.wait()
            self.held = None
            return self.send(packet)
        self.held = packet
        return self.hold()


class System:
    def __init__(self):
        self.tasks = None
        self.table = {}
        self.holds = 0
        self.sent = 0

    def find(self, ident):
        return self.table[ident]

    def schedule(self):
        task = self.tasks
        while task is not None:
            task = task.link if task.is_held_or_waiting() else task.run_one()


def packets(owner, kind, count):
    first = None
    for _ in range(count):
        first = Packet(first, owner, kind)
    return first


def simulate(count):
    system = System()
    IdleTask(system, count)
    WorkTask(system, packets(0, WORK, 2))
    HandlerTask(system, HANDLER_A, 2000, packets(DEVICE_A, DEVICE, 3))
    HandlerTask(system, HANDLER_B, 3000, packets(DEVICE_B, DEVICE, 3))
    DeviceTask(system, DEVICE_A, 4000)
    DeviceTask(system, DEVICE_B, 5000)
    system.schedule()
    return system.sent, system.holds


def run(size):
    return [simulate(200) for _ in range(size)][-1]
