"""What is done inside of a private repository, as shell scripts: they run in the polecat's domain.

Each gets `$1` repository, `$2` worktree, `$3` objects of the store, then arguments of its own. Settings that an
agent may have made don't matter: explicit directories, no hooks, no signing. Only its own rights are used.
"""

from __future__ import annotations

_COMMON = """
repo=$1 tree=$2 objects=$3
shift 3
export GIT_CEILING_DIRECTORIES="${tree%/*}" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
in_tree() { git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c commit.gpgsign=false -c gc.auto=0 \\
  --git-dir="$repo/worktrees/worktree" --work-tree="$tree" -C "$tree" "$@"; }
in_repo() { git -c core.hooksPath=/dev/null -c gc.auto=0 --git-dir="$repo" "$@"; }
linked() {
  if [ -L "$tree/.git" ] || [ ! -f "$tree/.git" ]; then
    echo "$tree has lost its .git file" >&2; return 1
  fi
  [ "$(cat "$tree/.git")" = "gitdir: $repo/worktrees/worktree" ] && [ -d "$repo/worktrees/worktree" ] || {
    echo "$tree does not belong to $repo any more" >&2; return 1; }
}
"""

CREATE = (
    _COMMON
    + """
set -e
base_branch=$1 base=$2 branch=$3 start=$4 name=$5 email=$6
mkdir -p "${repo%/*}" "$TMPDIR"
git init --quiet --bare --template= "$repo"
mkdir -p "$repo/objects/info"
printf '%s\\n' "$objects" > "$repo/objects/info/alternates"
in_repo config user.name "$name"
in_repo config user.email "$email"
in_repo config push.default nothing
in_repo update-ref "refs/remotes/origin/$base_branch" "$base"
in_repo worktree add --quiet --no-track -B "$branch" "$tree" "$start"
: > "$repo/created"
"""
)
"""Base branch, base commit, branch, start commit, committer's name and address."""

MEND = (
    _COMMON
    + """
branch=$1
[ -d "$repo/objects" ] || { echo "$repo is only half made" >&2; exit 1; }
find "$repo" -name '*.lock' -type f -exec rm -f {} +
rm -f "$repo/worktrees/worktree/locked"
mkdir -p "$repo/objects/info" && printf '%s\\n' "$objects" > "$repo/objects/info/alternates"
admin=$repo/worktrees/worktree
if [ ! -d "$admin" ]; then
  # Git forgot the worktree: registered anew, with the files that are there
  rm -rf "$tree.old"
  [ ! -d "$tree" ] || mv "$tree" "$tree.old"
  rm -rf "$tree"
  if [ -d "$tree.old" ]; then
    in_repo worktree add --quiet --no-checkout --force "$tree" "$branch" || exit 1
    rm -rf "$tree.old/.git"
    mv "$tree/.git" "$tree.old/.git" && rmdir "$tree" && mv "$tree.old" "$tree" && in_tree reset --quiet || exit 1
  else
    in_repo worktree add --quiet --force "$tree" "$branch" || exit 1
  fi
elif [ ! -d "$tree" ] || [ -L "$tree" ]; then
  rm -rf "$tree"
  mkdir "$tree" && printf 'gitdir: %s\\n' "$admin" > "$tree/.git" && in_tree reset --quiet --hard || exit 1
elif [ -L "$tree/.git" ] || [ ! -f "$tree/.git" ]; then
  rm -rf "$tree/.git"
  printf 'gitdir: %s\\n' "$admin" > "$tree/.git"
fi
linked || exit 1
if [ ! -f "$repo/created" ]; then
  # killed while the files were being written: what is missing is no change of the agent's, who never ran
  in_tree reset --quiet --hard && : > "$repo/created"
fi
"""
)
"""Puts right what a kill or an agent may have left: lock files, the link, the loan of objects, the worktree.

Gets the branch."""

STATE = (
    _COMMON
    + """
linked || exit 1
printf '%s\\n' "$(in_tree rev-parse --verify --quiet 'HEAD^{commit}' 2>/dev/null)"
printf '%s\\n' "$(in_tree symbolic-ref --quiet --short HEAD 2>/dev/null)"
[ "$1" = 0 ] || in_tree status --porcelain 2>&1 | head -c "$1"
"""
)
"""Prints HEAD, branch, and the status up to a number of bytes; 0 saves looking at the files."""

COMMIT_ALL = (
    _COMMON
    + """
linked || exit 1
in_tree add --all --ignore-errors >/dev/null 2>&1 || {
  rm -f "$repo/worktrees/worktree/index.lock"
  in_tree add --all --ignore-errors || echo "some files could not be added" >&2
}
if in_tree diff --cached --quiet; then exit 0; fi
in_tree commit --quiet --no-verify --message "$1" >&2 || {
  rm -f "$repo/worktrees/worktree/"*.lock
  in_tree commit --quiet --no-verify --message "$1" >&2
} || exit 1
printf 'commit %s\\n' "$(in_tree rev-parse HEAD)"
"""
)
"""Commits everything with a message; prints `commit HASH` as the last line if there was anything."""

FAST_FORWARD = (
    _COMMON
    + """
[ -z "$(in_tree status --porcelain | head -c 1)" ] && in_tree merge --ff-only --quiet "$1"
"""
)
"""Moves a clean worktree forward to a commit that builds on it."""

_TELL = """
tell() {
  head=$1 base=$2 commits=$3 bytes=$4
  shift 4
  renice -n 10 -p $$ >/dev/null 2>&1
  exec 2>/dev/null
  printf '%s\\0' "$head"
  here log --no-show-signature --no-color -z --max-count="$commits" --format='%H%x00%ct%x00%<(200,trunc)%s' \\
    "$base..$head" --
  printf '\\0'
  [ "$bytes" = 0 ] || here -c core.quotePath=false -c core.bigFileThreshold=1m -c diff.suppressBlankEmpty=false \\
    diff --no-ext-diff --no-textconv --no-color --no-relative -O/dev/null --src-prefix=a/ --dst-prefix=b/ \\
    --unified=3 --find-renames --ignore-submodules=dirty --submodule=short --raw --numstat --patch -z \\
    "$base" "$@" -- | head -c "$bytes"
}
"""

CHANGES = (
    _COMMON
    + _TELL
    + """
linked || exit 1
head=$(in_tree rev-parse --verify --quiet 'HEAD^{commit}') || { echo "$tree has no commit" >&2; exit 1; }
export GIT_INDEX_FILE="$TMPDIR/changes-$$.index"
trap 'rm -f "$GIT_INDEX_FILE" "$GIT_INDEX_FILE.lock"' EXIT
cp "$repo/worktrees/worktree/index" "$GIT_INDEX_FILE" 2>/dev/null
here() { in_tree "$@"; }
# in a copy of the index, so that what the agent has not added yet is seen and stays as it is
[ "$3" = 0 ] || in_tree add --intent-to-add --all --ignore-errors . >/dev/null 2>&1
tell "$head" "$1" "$2" "$3"
"""
)
"""Prints what lies between a base and the files of the worktree, as `git/changes.py` reads it.

Gets the base, how many commits at most, how many bytes of changes at most (0 for commits only)."""

CHANGES_STORED = (
    _TELL
    + """
store=$1
here() { git --git-dir="$store" "$@"; }
tell "$3" "$2" "$4" "$5" "$3"
"""
)
"""The same between two commits of a store. Gets the store, base, head, how many commits and bytes at most."""
