"""python -m trunkline_insights: the same worker that `faust -A trunkline_insights worker` runs."""

from trunkline_insights.app import run

if __name__ == "__main__":
    run()
