#!/bin/sh
# Writes the expected results of the cases anew with Go's text/template and Sprig. Needs Go; run it anywhere.
set -e
cd "$(dirname "$0")"
go run . ../cases/engine/*.txt
