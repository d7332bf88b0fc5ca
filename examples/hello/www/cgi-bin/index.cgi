#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
printf '%s from %s (%s)\n' "$(cat /etc/hello/greeting)" "$(hostname)" "${COLOUR:-no colour}"
