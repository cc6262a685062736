"""The events of replies being written: from the task that writes to all who watch, in this process and in others.

In the writing process a `Channel` in memory feeds the viewers, so the page that asked needs no Valkey. For everybody
else the events go, coalesced, to a Valkey stream of the reply; one reading connection a process follows all the
streams its viewers watch, and the stream of signals that carries stops. Nothing here touches the database.
"""
