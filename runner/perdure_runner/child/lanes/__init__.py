"""Lines of execution: the scheduler that lets one run at a time; threads, asyncio tasks, their locks and waits."""
