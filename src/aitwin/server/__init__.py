"""HTTP over Twin, on this machine alone: made for the gateway, which shows a credential.

app: who may ask and which routes there are; listening: where, and how it ends.
"""
