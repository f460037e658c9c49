"""The gateway: the process of a server that strangers talk to by HTTP.

It starts the coordinator, and again when it dies. Webhooks are the coordinator's to take; what it does not take in time
(it is busy, or dead and not yet there again) is durable in the gateway's own inbox, and answered all the same.
"""
