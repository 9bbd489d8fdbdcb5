#!/bin/sh
# "Quotes", tabs	and ${variables} arrive as they are.
echo "backup to ${TARGET:-nowhere}"
