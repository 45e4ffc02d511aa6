#!/bin/sh
# A pre-flight for any trainer: it is started only where its data keeps its reasoning.
#
#     preflight.sh MODEL TRAIN COMMAND [ARGUMENT...]
#
# such as: preflight.sh ./model train.jsonl axolotl train config.yaml
set -eu
model=$1 train=$2
shift 2
# Repaired in place, which `template-fix undo` takes back. What can't be repaired may not matter to these rows:
# what the check says of them decides.
template-fix patch "$model" || test $? -eq 1
template-fix check "$model" --data "$train" --select TF3
exec "$@"
