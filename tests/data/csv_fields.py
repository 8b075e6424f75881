"""Prints what Python's csv module reads, for records_test.cpp.

    csv_fields.py FOLDER COUNT

Reads FOLDER/NUMBER.SEPARATOR for the numbers from 0 on, SEPARATOR being a character's code. Prints one line a record,
fields as hexadecimal digits with a comma behind each, without blanks around and with line breaks as LF; "refused" where
the module does, and "end" behind each file.
"""
import csv
import glob
import re
import sys

folder, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    path, = glob.glob(f"{folder}/{number}.*")
    lines = []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            separator = chr(int(path.rsplit(".", 1)[1]))
            for record in csv.reader(file, delimiter=separator, strict=True, skipinitialspace=True):
                fields = [re.sub("\r\n?", "\n", field).strip(" \t") for field in record]
                if fields not in ([], [""]):
                    lines.append("".join(field.encode().hex() + "," for field in fields) + "\n")
    except csv.Error:
        lines = ["refused\n"]
    sys.stdout.write("".join(lines) + "end\n")
