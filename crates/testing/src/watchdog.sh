# Waits until the test is done with a server, or is gone however it ended: both close the pipe that is read here.
# Then nothing of the server stays: no process, no shared memory, no file. $1 is its folder.
read -r _
data=$1/data
found=yes
while [ "$found" ]; do
  found=
  for process in /proc/[0-9]*; do
    # Known by the folder it works in: backends outlive a postmaster that is killed.
    if [ "$process/cwd" -ef "$data" ]; then
      kill -KILL "${process#/proc/}" 2>/dev/null
      found=yes
    fi
  done
  [ "$found" ] && sleep 0.01
done
# A server that was killed leaves a segment behind, named in the seventh line.
if [ -f "$data/postmaster.pid" ]; then
  segment=$(sed -n 7p "$data/postmaster.pid" | tr -s ' ' | sed 's/.* //')
  ipcrm -m "$segment" 2>/dev/null
fi
rm -rf "$1"
