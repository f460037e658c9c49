"""Classes, inheritance and many small method calls: tasks that hand packets to each other."""


class Packet:
    def __init__(self, owner, work):
        self.owner = owner
        self.work = work


class Task:
    def __init__(self, name, peers):
        self.name = name
        self.peers = peers
        self.inbox = []
        self.done = 0

    def take(self, packet):
        self.inbox.append(packet)

    def idle(self):
        return not self.inbox

    def step(self):
        packet = self.inbox.pop()
        self.done += self.effort(packet)
        return packet

    def effort(self, packet):
        return packet.work % 7


class Worker(Task):
    def step(self):
        packet = super().step()
        packet.work = self.next_work(packet.work)
        self.peers[packet.work % len(self.peers)].take(packet)
        return packet

    @staticmethod
    def next_work(work):
        return (work * 1103515245 + 12345) % 2147483648


class Device(Worker):
    def effort(self, packet):
        return 1 + super().effort(packet)


class Scheduler:
    def __init__(self):
        self.tasks = []

    def add(self, task):
        self.tasks.append(task)

    def run(self, rounds):
        for _ in range(rounds):
            for task in self.tasks:
                if not task.idle():
                    task.step()
        return sum(task.done for task in self.tasks)


def run(size):
    scheduler = Scheduler()
    for index in range(6):
        scheduler.add((Worker if index % 2 else Device)(f"task {index}", scheduler.tasks))
    for work in range(20):
        scheduler.tasks[work % 6].take(Packet(scheduler.tasks[0], work))
    return scheduler.run(size * 250)
