"""Stages composed into plans; the only place below cli that knows both study and the stages."""
